"""Where clips come from: files, labelled datasets, the web. Each kind yields entries."""
