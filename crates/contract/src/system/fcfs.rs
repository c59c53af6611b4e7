//! S2: first-come-first-served coupons, asked for by the user's public id.

use super::{API, CONSUMER, Description, Domain, RECONCILER, Step, Topic, UserKey};
use crate::claim::Kind;

pub(super) static DESCRIPTION: Description = Description {
    name: "fcfs",
    database: "fcfs_db",
    profile: "fcfs-quick",
    grants: Kind::Coupon,
    claims: Topic { name: "coupon-issue-requested", partitions: 10, group: "coupon-fcfs-group" },
    roles: &[RECONCILER, CONSUMER, API],
    consumers: 10,
    api_port: 8081,
    mysql_port: 3307,
    redis_port: 6380,
    kafka_port: 9093,
    // The API is where Redis Commander is as a rule.
    moved: &[("ECOMCTL_PORT_REDIS_COMMANDER", 8084)],
    domains: &[Domain::Users, Domain::Coupons],
    user_key: UserKey::PublicId,
    schema: &[&[Step::PublicUsers], &[Step::Coupons]],
};
