"""The training job: its steps, optimizer, state and backends."""
