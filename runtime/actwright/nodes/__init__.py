"""A node is one OS process on one journal: how it is known to be alive, and who steps in when it is dead."""
