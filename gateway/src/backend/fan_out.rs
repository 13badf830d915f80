//! Splits a request by storage node and puts the results back in the order of the request.
//!
//! Invariant: each item gets exactly one result, in its place, whatever the nodes answer. Nodes are first called in the order
//! in which their first item was added. Deliberately does not know what the items are.

use futures::future::join_all;
use ottla_types::NodeId;

/// Items by node.
pub(crate) struct FanOut<I, R> {
    shares: Vec<Share<I>>,
    results: Vec<Option<R>>,
}

/// What one node is asked.
struct Share<I> {
    node: NodeId,
    items: Vec<I>,
    places: Vec<usize>,
}

impl<I, R: Clone> FanOut<I, R> {
    /// Room for this many items.
    pub(crate) fn with_capacity(items: usize) -> Self {
        Self { shares: Vec::with_capacity(1), results: Vec::with_capacity(items) }
    }

    /// The next item is for a node.
    pub(crate) fn ask(&mut self, node: NodeId, item: I) {
        let place = self.results.len();
        self.results.push(None);
        match self.shares.iter_mut().find(|share| share.node == node) {
            Some(share) => {
                share.items.push(item);
                share.places.push(place);
            }
            None => self.shares.push(Share { node, items: vec![item], places: vec![place] }),
        }
    }

    /// The next item has its result already.
    pub(crate) fn answer(&mut self, result: R) {
        self.results.push(Some(result));
    }

    /// Asks the nodes, all at once, and returns the results in the order of the items. `missing` stands where a node gave
    /// fewer results than it was asked for.
    pub(crate) async fn run<F>(self, ask: impl Fn(NodeId, Vec<I>) -> F, missing: R) -> Vec<R>
    where
        F: Future<Output = Vec<R>>,
    {
        let Self { mut shares, mut results } = self;
        let mut put = |places: Vec<usize>, found: Vec<R>| {
            for (place, result) in places.into_iter().zip(found) {
                results[place] = Some(result);
            }
        };
        if shares.len() <= 1 {
            if let Some(Share { node, items, places }) = shares.pop() {
                put(places, ask(node, items).await);
            }
        } else {
            let calls = shares.into_iter().map(|Share { node, items, places }| {
                let call = ask(node, items);
                async move { (places, call.await) }
            });
            for (places, found) in join_all(calls).await {
                put(places, found);
            }
        }
        results.into_iter().map(|result| result.unwrap_or_else(|| missing.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    async fn tens(node: NodeId, items: Vec<i32>) -> Vec<i32> {
        // Node 9 answers only its first item.
        let most = if node == NodeId(9) { 1 } else { items.len() };
        items.into_iter().take(most).map(|item| item * 10 + node.0).collect()
    }

    #[test]
    fn results_come_back_in_the_order_of_the_request() {
        let mut fan_out = FanOut::with_capacity(6);
        fan_out.ask(NodeId(2), 1);
        fan_out.answer(-7);
        fan_out.ask(NodeId(1), 2);
        fan_out.ask(NodeId(2), 3);
        fan_out.ask(NodeId(9), 4);
        fan_out.ask(NodeId(9), 5);
        let results = fan_out.run(tens, -1).now_or_never().unwrap();
        assert_eq!(results, [12, -7, 21, 32, 49, -1]);
    }

    #[test]
    fn nothing_to_ask_is_answered() {
        let mut fan_out = FanOut::<i32, i32>::with_capacity(1);
        fan_out.answer(5);
        assert_eq!(fan_out.run(tens, -1).now_or_never().unwrap(), [5]);
    }
}
