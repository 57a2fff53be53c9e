"""A real Apache Kafka and a real PostgreSQL on 127.0.0.1, without containers or installation."""
