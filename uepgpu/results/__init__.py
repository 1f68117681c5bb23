"""What is read from tallies: curves, tables, summaries and exports."""
