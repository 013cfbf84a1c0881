"""What is measured: distances between sets of images (`frechet`, `features`) and between pairs (`reconstruction`)."""
