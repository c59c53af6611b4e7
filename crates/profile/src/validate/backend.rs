//! Rules of `backend:`.

use contract::failpoint;

use super::Context;
use crate::model::ProviderChoice;

/// A count that the profile tunes: key, value, least, most.
type Range = (&'static str, u64, u64, u64);

pub(super) fn validate_numbers(c: &mut Context<'_>) {
    let b = &c.profile.backend;
    let int = i32::MAX as u64;
    let ranges: [Range; 14] = [
        ("consumers", b.consumers.into(), 1, 64),
        ("partitions", b.partitions.into(), 1, 1_000),
        ("db_pool.max", b.db_pool.max.into(), 1, 1_000),
        ("redis_pool.max", b.redis_pool.max.into(), 1, 256),
        ("http.threads", b.http.threads.into(), 1, 256),
        ("http.body_limit", b.http.body_limit as u64, 64, 16 * 1024 * 1024),
        ("http.max_connections", b.http.max_connections as u64, 1, 1_000_000),
        // The limits of librdkafka.
        ("producer.batch_size", b.producer.batch_size.into(), 1, int),
        ("producer.buffer_memory", b.producer.buffer_memory, 1_024, int * 1_024),
        ("producer.queue", b.producer.queue as u64, 1, 10_000_000),
        ("producer.retries", b.producer.retries.into(), 0, int),
        ("consumer.batch", b.consumer.batch as u64, 1, 10_000),
        ("db_pool.min_idle", b.db_pool.min_idle.into(), 0, 1_000),
        ("port", b.port.unwrap_or(0).into(), 0, 65_535),
    ];
    for (key, value, least, most) in ranges {
        if !(least..=most).contains(&value) {
            c.problem(format!("backend.{key}"), format!("{value} is out of range; allowed: {least} to {most}"));
        }
    }
}

pub(super) fn validate_durations(c: &mut Context<'_>) {
    let b = &c.profile.backend;
    let (day, quarter) = (86_400_000, 900_000);
    let ranges = [
        ("db_pool.timeout", b.db_pool.timeout, 1, day),
        ("redis_pool.timeout", b.redis_pool.timeout, 1, day),
        ("product_cache.ttl", b.product_cache.ttl, 0, day),
        ("http.request_timeout", b.http.request_timeout, 10, 600_000),
        ("producer.linger", b.producer.linger, 0, quarter),
        ("producer.delivery_timeout", b.producer.delivery_timeout, 100, quarter),
        ("consumer.batch_wait", b.consumer.batch_wait, 0, 60_000),
        // What a broker takes as it is shipped (group.min.session.timeout.ms, group.max.session.timeout.ms).
        ("consumer.session_timeout", b.consumer.session_timeout, 6_000, 1_800_000),
        ("consumer.max_poll_interval", b.consumer.max_poll_interval, 1_000, day),
        ("reconciler.interval", b.reconciler.interval, 10, 3_600_000),
    ];
    for (key, value, least, most) in ranges {
        if !(least..=most).contains(&(value.0.as_millis())) {
            let show = |ms: u128| contract::human::HumanDuration::from_millis(ms as u64);
            let message = format!("{value} is out of range; allowed: {} to {}", show(least), show(most));
            c.problem(format!("backend.{key}"), message);
        }
    }
    if b.producer.linger >= b.producer.delivery_timeout {
        let most = b.producer.delivery_timeout;
        c.problem("backend.producer.linger", format!("it must be shorter than `delivery_timeout`, which is {most}"));
    }
}

pub(super) fn validate_pool_order(c: &mut Context<'_>) {
    let pool = &c.profile.backend.db_pool;
    if pool.min_idle > pool.max {
        let message = format!("{} idle connections do not fit into `max`, which is {}", pool.min_idle, pool.max);
        c.problem("backend.db_pool.min_idle", message);
    }
}

pub(super) fn validate_poll_interval(c: &mut Context<'_>) {
    let consumer = &c.profile.backend.consumer;
    if consumer.max_poll_interval < consumer.session_timeout {
        let least = consumer.session_timeout;
        c.problem(
            "backend.consumer.max_poll_interval",
            format!("it must not be shorter than `session_timeout`, which is {least}"),
        );
    }
}

pub(super) fn validate_failpoints(c: &mut Context<'_>) {
    for (name, action) in &c.profile.backend.failpoints {
        let path = format!("backend.failpoints.{name}");
        let known = failpoint::names();
        if !known.contains(&name.as_str()) {
            let hint = crate::suggest::did_you_mean(name, known);
            c.problem(&path, format!("there is no such failpoint{hint}; allowed: {}", known.join(", ")));
        }
        if !action.strip_prefix("kill@").is_some_and(|n| n.parse::<u64>().is_ok_and(|n| n > 0)) {
            c.problem(&path, format!("`{action}` is not known; allowed: kill@N, at the N-th pass (N at least 1)"));
        }
    }
}

pub(super) fn validate_size(c: &mut Context<'_>) {
    if c.profile.backend.size.is_some() && c.profile.stack.provider == ProviderChoice::Native {
        let why = "native servers listen on this machine's loopback, where a container cannot reach them";
        c.problem("backend.size", format!("{why}; write stack.provider: docker, or leave the size away"));
    }
}

pub(super) fn warn_of_idle_consumers(c: &mut Context<'_>) {
    let (consumers, partitions) = (c.profile.backend.consumers, c.profile.backend.partitions);
    if consumers > partitions {
        let idle = consumers - partitions;
        c.warn("backend.consumers", format!("{idle} of {consumers} consumers stay idle on {partitions} partitions"));
    }
}

pub(super) fn warn_of_early_reconciler(c: &mut Context<'_>) {
    let b = &c.profile.backend;
    let real = b.reconcile_after();
    if let Some(after) = b.reconciler.after.filter(|after| after.0 < real) {
        let real = contract::human::HumanDuration(real);
        c.warn("backend.reconciler.after", format!("{after} is raised to {real}: before that the API may still send"));
    }
}
