"""What tests of deploy/ share: tools, manifests, a container engine, and containers started as local processes."""
