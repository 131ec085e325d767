"""Read a corpus from local files, the hub, IMDb or memory."""
