//! Splits a batch that fails until the bad item is alone.

use std::future::Future;

/// Why a part of a batch was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure<E> {
    /// At least one item is bad, for this reason.
    Bad(String),
    /// It says nothing about the items: the whole batch has to wait.
    Other(E),
}

/// Takes parts of a batch, each as a whole or not at all.
pub trait AllOrNothing<T> {
    /// Anything but a bad item.
    type Error;

    /// Takes all of `items`, or none.
    fn take(&mut self, items: &[T]) -> impl Future<Output = Result<(), Failure<Self::Error>>> + Send;
}

/// Hands `items` to `sink`, halving what fails, and returns the index of each bad item with the reason.
///
/// # Errors
/// As soon as the sink has an error that is not about the items. Parts may have been taken by then: taking an item
/// twice must be harmless.
pub async fn bisect<T: Sync, S: AllOrNothing<T> + Send>(
    sink: &mut S,
    items: &[T],
) -> Result<Vec<(usize, String)>, S::Error> {
    let mut bad = Vec::new();
    // A stack, the earlier half on top: items are taken in their order.
    let mut parts = Vec::new();
    parts.push(0..items.len());
    while let Some(part) = parts.pop() {
        if part.is_empty() {
            continue;
        }
        match sink.take(&items[part.clone()]).await {
            Ok(()) => {}
            Err(Failure::Other(error)) => return Err(error),
            Err(Failure::Bad(reason)) if part.len() == 1 => bad.push((part.start, reason)),
            Err(Failure::Bad(_)) => {
                let middle = part.start + part.len() / 2;
                parts.push(middle..part.end);
                parts.push(part.start..middle);
            }
        }
    }
    Ok(bad)
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use proptest::prelude::*;

    use super::*;

    /// Refuses what contains a bad item; breaks at a given call.
    struct Model {
        taken: Vec<u32>,
        calls: usize,
        breaks_at: Option<usize>,
    }

    fn is_bad(item: u32) -> bool {
        item.is_multiple_of(10)
    }

    impl AllOrNothing<u32> for Model {
        type Error = usize;

        async fn take(&mut self, items: &[u32]) -> Result<(), Failure<usize>> {
            self.calls += 1;
            if self.breaks_at == Some(self.calls) {
                return Err(Failure::Other(self.calls));
            }
            if let Some(item) = items.iter().find(|item| is_bad(**item)) {
                return Err(Failure::Bad(format!("bad {item}")));
            }
            self.taken.extend(items);
            Ok(())
        }
    }

    fn run(model: &mut Model, items: &[u32]) -> Result<Vec<(usize, String)>, usize> {
        let mut work = pin!(bisect(model, items));
        match work.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done,
            Poll::Pending => panic!("the model never waits"),
        }
    }

    proptest! {
        #[test]
        fn exactly_the_bad_items_are_left_and_the_order_stays(items in prop::collection::vec(0_u32..40, 0..300)) {
            let mut model = Model { taken: Vec::new(), calls: 0, breaks_at: None };
            let bad = run(&mut model, &items).expect("the model does not break");
            let good: Vec<u32> = items.iter().copied().filter(|item| !is_bad(*item)).collect();
            prop_assert_eq!(&model.taken, &good);
            let expected: Vec<(usize, String)> = items.iter().enumerate()
                .filter(|(_, item)| is_bad(**item)).map(|(i, item)| (i, format!("bad {item}"))).collect();
            let depth = (items.len().max(1)).ilog2() as usize + 2;
            prop_assert!(model.calls <= 1 + 2 * bad.len() * depth, "{} calls", model.calls);
            prop_assert_eq!(bad, expected);
        }

        #[test]
        fn nothing_is_called_bad_when_the_sink_breaks(
            items in prop::collection::vec(0_u32..40, 1..100), at in 1_usize..20,
        ) {
            let mut model = Model { taken: Vec::new(), calls: 0, breaks_at: Some(at) };
            match run(&mut model, &items) {
                Err(call) => prop_assert_eq!(call, at),
                Ok(_) => prop_assert!(model.calls < at),
            }
        }
    }
}
