"""All of riskwire on one machine: its servers, its services, an hour of news with a crisis, and its hops."""
