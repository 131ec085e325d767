"""Other libraries' private names and error texts that mlmref relies on, one module per library."""
