//! Logging, progress bars, error printing and exit codes shared by the tools.
