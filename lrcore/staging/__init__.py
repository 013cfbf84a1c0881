"""Moving a study to a machine without a network, and its results back: parts of a tar archive that any tool joins."""
