"""What published data sets share: catalog, download, unpack, verify, split and readers."""
