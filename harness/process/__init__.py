"""Child processes: everything that touches a framework happens in one."""
