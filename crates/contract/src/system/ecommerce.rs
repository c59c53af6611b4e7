//! S1: a shop with first-come-first-served coupons.

use super::{API, CONSUMER, Description, Domain, RECONCILER, Step, Topic, UserKey};
use crate::claim::Kind;

pub(super) static DESCRIPTION: Description = Description {
    name: "ecommerce",
    database: "ecom_db",
    profile: "coupon-quick",
    grants: Kind::Coupon,
    claims: Topic { name: "coupon-issue", partitions: 3, group: "coupon-issue-group" },
    roles: &[RECONCILER, CONSUMER, API],
    consumers: 3,
    api_port: 8080,
    mysql_port: 3306,
    redis_port: 6379,
    kafka_port: 9092,
    moved: &[],
    domains: &[Domain::Users, Domain::Products, Domain::Points, Domain::Coupons],
    user_key: UserKey::Id,
    schema: &[&[Step::Users, Step::Products, Step::Points], &[Step::Coupons], &[Step::PointEntries]],
};
