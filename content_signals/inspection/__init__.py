"""What the command line shows: plain rows and records, for a table or for JSON."""
