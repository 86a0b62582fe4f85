"""The surroundings of the services: the broker, an independent client, an operator of Kafka, and a webhook."""
