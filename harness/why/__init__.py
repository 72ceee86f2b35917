"""Why a variant is not faster: reasons from its graph, its operators' times and the processor, with figures."""
