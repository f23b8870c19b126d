"""What a run is: states, runs, and the table of what may follow what. No I/O, no event loop."""
