"""Two runs compared: pure functions of their records and environments."""
