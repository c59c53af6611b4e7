//! The backend of the system whose users are known by a public id: the same gate, topic and consumer under other names.

use contract::{process::Role, system::System};
use mysql_async::prelude::Queryable;
use uuid::Uuid;

use crate::{
    backend_api::{Answer, call, launch, start},
    backend_world::{World, until},
};

async fn public_id(world: &World, user: u64) -> String {
    let mut conn = world.pool.get_conn().await.expect("connects");
    let found = conn.exec_first("SELECT public_id FROM users WHERE id = ?", (user,)).await.expect("reads");
    found.expect("is there")
}

fn result(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body["result"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn coupons_are_issued_by_public_id_and_become_rows() {
    let world = World::beside(System::Fcfs).await;
    let topic = world.system.claims().name;
    let api = start(&world).await;
    let consumer = launch(&world, Role::Consumer, &["group", "progress"]).await;
    let (coupon, seeded) = (world.coupon(3).await, world.users(3).await);
    world.open(coupon, 3, topic).await;
    let issue =
        async |user: &str| call(api.address, "POST", &format!("/api/coupons/{coupon}/issue-fcfs/{user}"), "").await;

    let first = public_id(&world, seeded[0]).await;
    let answer = issue(&first).await;
    assert_eq!(result(&answer), (202, "QUEUED"), "{}", answer.body);
    assert_eq!(answer.body["grantSeq"], 1);
    let event = answer.body["eventId"].as_str().expect("an event id").to_owned();
    assert_eq!(result(&issue(&first).await), (409, "DUPLICATE"));
    assert_eq!(result(&issue(&first.to_uppercase()).await), (409, "DUPLICATE"), "the same user");

    let new = format!(r#"{{"name":"김쿠폰","email":"{}@test.com"}}"#, Uuid::now_v7());
    let made = call(api.address, "POST", "/api/users", &new).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let (made, id) = (made.body["publicId"].as_str().expect("a public id").to_owned(), made.body["id"].as_u64());
    assert_eq!(public_id(&world, id.expect("an id")).await, made);
    assert_eq!(result(&issue(&made).await), (202, "QUEUED"));
    assert_eq!(result(&issue(&public_id(&world, seeded[1]).await).await), (202, "QUEUED"));
    assert_eq!(result(&issue(&public_id(&world, seeded[2]).await).await), (410, "SOLD_OUT"));

    let mut holders = vec![seeded[0], seeded[1], id.expect("an id")];
    holders.sort_unstable();
    until("the rows are there", async || world.holders(coupon).await == holders).await;
    let mut conn = world.pool.get_conn().await.expect("connects");
    let row = "SELECT DATABASE(), user_id FROM coupon_users WHERE event_id = ?";
    let row: Option<(String, u64)> = conn.exec_first(row, (event,)).await.expect("reads");
    assert_eq!(row, Some(("fcfs_db".into(), seeded[0])));
    assert_eq!(world.issued(coupon).await, 3);
    consumer.end().await;
    api.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_user_gets_a_clear_answer() {
    let world = World::beside(System::Fcfs).await;
    let api = start(&world).await;
    let (coupon, user) = (world.coupon(2).await, world.users(1).await[0]);
    world.open(coupon, 2, world.system.claims().name).await;
    let known = public_id(&world, user).await;
    let unknown = Uuid::new_v4();
    let path = |coupon: &str, user: &str| format!("/api/coupons/{coupon}/issue-fcfs/{user}");
    let coupon = coupon.to_string();
    let cases = [
        (path(&coupon, &unknown.to_string()), 404, format!("there is no user {unknown}")),
        (path(&coupon, &user.to_string()), 422, "is not a UUID".into()),
        (path(&coupon, &known.replace('-', "")), 422, "is not a UUID".into()),
        (path(&coupon, "%ff"), 422, String::new()),
        (path("abc", &known), 422, "`abc` is not a number".into()),
        (path("18446744073709551615", &known), 404, "there is no coupon".into()),
        (format!("/api/coupons/{coupon}/issue"), 404, "no such route".into()),
    ];
    for (path, status, says) in cases {
        let answer = call(api.address, "POST", &path, "").await;
        let error = answer.body["error"].as_str().unwrap_or_else(|| panic!("{path}: no JSON error"));
        assert_eq!((answer.status, error.contains(&says)), (status, true), "{path}: {error}");
    }
    assert_eq!(call(api.address, "GET", &path(&coupon, &known), "").await.status, 405);
    let metrics = call(api.address, "GET", "/metrics", "").await;
    let text = metrics.body.as_str().expect("text");
    assert!(text.contains(r#"ecom_coupon_requests_total{result="unknown_id"} 2"#), "{text}");
    api.end().await;
}
