"""Where rows come from: files, the hub, published sets, the bundled world."""
