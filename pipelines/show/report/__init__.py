"""`report.html`: what came of a run, on one page that opens without a network."""
