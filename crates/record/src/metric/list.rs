//! The metrics themselves.

use super::{
    Kind::{Counter, Gauge, Rate, Trend},
    Known,
    Source::{Cache, Group, Load, Mysql, Redis, Stack},
    Unit::{Bytes, Count, Millis, PerSecond, Share},
};

/// A constant for each metric, and the list of them all.
macro_rules! metrics {
    ($($constant:ident = $known:expr;)*) => {
        $(#[doc = concat!("See [`METRICS`]: `", stringify!($constant), "`.")] pub const $constant: &Known = &$known;)*

        /// All metrics. Those that a goal can be over come first, then those of alarms alone, then those that are only
        /// kept over time.
        pub const METRICS: &[&Known] = &[$($constant),*];
    };
}

const REQUEST: &[&str] = &["name", "scenario"];
const SCENARIO: &[&str] = &["scenario"];

metrics! {
    HTTP_REQS = Known::new("http_reqs", Counter, Count, Load)
        .by(&["name", "scenario", "outcome", "status", "expected_response", "phase", "cache"])
        .goal("requests sent");
    HTTP_REQ_FAILED = Known::new("http_req_failed", Rate, Share, Load)
        .by(&["name", "scenario", "phase"])
        .goal("share of requests with outcome UNKNOWN: time-out, reset, no connection, 5xx. A refusal is not a failure")
        .alarm("share of the last second's requests with outcome UNKNOWN or ERROR");
    HTTP_REQ_DURATION = Known::new("http_req_duration", Trend, Millis, Load)
        .by(&["name", "scenario", "outcome", "expected_response", "phase", "cache"])
        .goal("ms: sending + waiting + receiving; in an open model from the intended start")
        .alarm("mean duration of the requests that ended in the last second, in ms");
    CACHE_HIT_RATE = Known::new("cache_hit_rate", Rate, Share, Cache)
        .by(REQUEST)
        .goal("share of answers from a cache among those that say whether they are (X-Cache, Cache-Status)");
    HTTP_REQ_BLOCKED = Known::new("http_req_blocked", Trend, Millis, Load)
        .by(REQUEST)
        .goal("ms from the wish to send until a connection was at hand or begun");
    HTTP_REQ_CONNECTING = Known::new("http_req_connecting", Trend, Millis, Load)
        .by(REQUEST)
        .goal("ms to connect; 0 on a connection that is kept");
    HTTP_REQ_SENDING = Known::new("http_req_sending", Trend, Millis, Load)
        .by(REQUEST)
        .goal("ms to write the request");
    HTTP_REQ_WAITING = Known::new("http_req_waiting", Trend, Millis, Load)
        .by(REQUEST)
        .goal("ms until the answer's first byte");
    HTTP_REQ_RECEIVING = Known::new("http_req_receiving", Trend, Millis, Load)
        .by(REQUEST)
        .goal("ms from the answer's first byte to its last");
    ITERATIONS = Known::new("iterations", Counter, Count, Load).by(SCENARIO).goal("iterations completed");
    ITERATION_DURATION = Known::new("iteration_duration", Trend, Millis, Load)
        .by(SCENARIO)
        .goal("ms of an iteration, with the pauses between its requests");
    DROPPED_ITERATIONS = Known::new("dropped_iterations", Counter, Count, Load)
        .by(SCENARIO)
        .goal("iterations that found no virtual user free (open model)");
    VUS = Known::new("vus", Gauge, Count, Load).goal("virtual users that are active");
    VUS_MAX = Known::new("vus_max", Gauge, Count, Load).goal("virtual users that were allotted");
    DATA_SENT = Known::new("data_sent", Counter, Bytes, Load).goal("bytes sent");
    DATA_RECEIVED = Known::new("data_received", Counter, Bytes, Load).goal("bytes received");
    CONSUMER_LAG = Known::new("consumer_lag", Trend, Count, Group)
        .goal("records not yet consumed, sampled each second")
        .alarm("records not yet consumed");
    CONSUMER_TIME_LAG = Known::new("consumer_time_lag", Trend, Millis, Group)
        .goal("ms: age of the oldest record not yet consumed, sampled each second")
        .alarm("age of the oldest record not yet consumed, in ms");
    REDIS_DURATION = Known::new("redis_duration", Trend, Millis, Redis)
        .goal("ms of the probe's own read in Redis, sampled each second");
    MYSQL_CONNECTIONS = Known::new("mysql_connections", Trend, Count, Mysql)
        .goal("connections to MySQL of all programs, sampled each second")
        .alarm("connections to MySQL of all programs");
    END_TO_END_DURATION = Known::new("end_to_end_duration", Trend, Millis, Group)
        .goal("ms from a request's first byte to its row in MySQL, by MySQL's clock");
    DEAD_LETTERS = Known::new("dead_letters", Counter, Count, Group)
        .goal("records that were dead-lettered")
        .alarm("records dead-lettered since the run began");

    CPU = Known::new("cpu", Gauge, Share, Stack)
        .alarm("share of its CPU limit, or without one of all cores, that the busiest process or container uses");
    MEMORY = Known::new("memory", Gauge, Share, Stack)
        .alarm("share of its memory limit that the fullest container uses; none without limits");
    MYSQL_CONNECTIONS_USED = Known::new("mysql_connections_used", Gauge, Share, Mysql)
        .alarm("share of max_connections that is in use");
    REDIS_MEMORY = Known::new("redis_memory", Gauge, Share, Redis)
        .alarm("share of Redis's maxmemory that is in use; none without a maxmemory");

    HTTP_REQ_P50 = Known::new("http_req_p50", Gauge, Millis, Load);
    HTTP_REQ_P95 = Known::new("http_req_p95", Gauge, Millis, Load);
    HTTP_REQ_P99 = Known::new("http_req_p99", Gauge, Millis, Load);
    GROUP_LAG = Known::new("group_lag", Gauge, Count, Group);
    GROUP_TIME_LAG = Known::new("group_time_lag", Gauge, Millis, Group);
    GROUP_PRODUCED = Known::new("group_produced", Gauge, PerSecond, Group);
    GROUP_CONSUMED = Known::new("group_consumed", Gauge, PerSecond, Group);
    REDIS_PING = Known::new("redis_ping", Gauge, Millis, Redis);
    REDIS_HIT_RATE = Known::new("redis_hit_rate", Gauge, Share, Redis);
    REDIS_OPS = Known::new("redis_ops", Gauge, PerSecond, Redis);
    REDIS_USED_MEMORY = Known::new("redis_used_memory", Gauge, Bytes, Redis);
    REDIS_EVICTIONS = Known::new("redis_evictions", Gauge, PerSecond, Redis);
    MYSQL_THREADS = Known::new("mysql_threads", Gauge, Count, Mysql);
    MYSQL_RUNNING = Known::new("mysql_running", Gauge, Count, Mysql);
    MYSQL_QUERIES = Known::new("mysql_queries", Gauge, PerSecond, Mysql);
    MYSQL_PING = Known::new("mysql_ping", Gauge, Millis, Mysql);
    MYSQL_LOCK_WAITS = Known::new("mysql_lock_waits", Gauge, Count, Mysql);
    POOL_WAITING = Known::new("pool_waiting", Gauge, Count, Mysql);
    COMPONENT_MEMORY = Known::new("component_memory", Gauge, Bytes, Stack);
    THROTTLED = Known::new("throttled", Gauge, Share, Stack);
}
