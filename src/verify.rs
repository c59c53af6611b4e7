//! Consistency checks over MySQL, Kafka, Redis and the ledger.
