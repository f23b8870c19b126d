"""What stands on top: the command line. It talks to the journal and to a Runtime, never to a run's internals."""
