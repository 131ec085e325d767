"""Read and show what a run wrote: record, report, model card, publishing."""
