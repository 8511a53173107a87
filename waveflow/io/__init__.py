"""Read files within bounds, write them completely, walk folders, and handle signals."""
