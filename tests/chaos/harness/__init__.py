"""The chaos run: injects faults into riskwire's services on a real Kafka, and compares the result with a replay."""
