//! Looks at MySQL, Kafka and Redis once a second while a run goes on.
