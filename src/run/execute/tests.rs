use super::*;

/// What a request claims is proven, in whichever form it is written, and nothing else is.
#[test]
fn coupons_that_are_claimed_are_proven() {
    let text = include_str!("../../../tests/profiles/valid/claims.yaml");
    let read = |text: &str| profile::read("p.yaml", text, &profile::Overrides::default()).unwrap().0;
    let profile = read(&text.replace("{id: 2, quantity: 5}", "{id: 2, quantity: 6}, {id: 3, quantity: 7}"));
    let seed = SeedPlan::new(profile.system, &profile.seed).unwrap();
    let found = proven(&profile, &seed).subjects.into_iter().map(|subject| (subject.claim, subject.total));
    assert_eq!(found.collect::<Vec<_>>(), [(Claim::coupon(1), 5), (Claim::coupon(2), 6)]);
}
