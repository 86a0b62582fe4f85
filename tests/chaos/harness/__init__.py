"""The chaos run: riskwire's services on a real Kafka, hurt in every way at hand, compared with a calm run."""
