"""The bus on Apache Kafka (extra `kafka`)."""
