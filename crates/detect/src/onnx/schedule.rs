//! Computes the peak of live memory during a run of a graph, both for the node order of the file and for that of the
//! runtime; the larger peak counts.
//!
//! The runtime (rten 0.27) runs any node whose inputs exist, preferring nodes that cannot work in place, and frees a
//! tensor after its last use. Its optimizer may fuse nodes, which only shortens lifetimes.

/// A node, given by the indices of the tensors that it reads and writes.
pub(super) struct Node {
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
    pub is_in_place: bool,
}

/// The nodes of a graph, the two orders in which they may run, and how often each tensor is used.
pub(super) struct Lifetimes {
    nodes: Vec<Node>,
    orders: [Vec<usize>; 2],
    /// Number of reads of each tensor, one more for graph outputs; `usize::MAX` for tensors that are never freed.
    uses: Vec<usize>,
}

impl Lifetimes {
    /// Determines the runtime's node order and the uses of each tensor.
    ///
    /// `given` says for each tensor whether it is in the file. Tensors in the file, and tensors that are computed from
    /// them alone, are never freed. `input` and `outputs` are the indices of the graph's input and outputs.
    pub fn new(nodes: Vec<Node>, given: &[bool], input: usize, outputs: &[usize]) -> Self {
        let mut uses = vec![0; given.len()];
        for place in nodes.iter().flat_map(|node| &node.inputs).chain(outputs) {
            uses[*place] += 1;
        }
        let mut is_constant = given.to_vec();
        for node in &nodes {
            if node.inputs.iter().all(|&place| is_constant[place]) {
                for &place in &node.outputs {
                    is_constant[place] = true;
                }
            }
        }
        for (uses, is_constant) in uses.iter_mut().zip(&is_constant) {
            if *is_constant {
                *uses = usize::MAX;
            }
        }
        // The image belongs to the caller.
        uses[input] = usize::MAX;
        let mut present = given.to_vec();
        present[input] = true;
        let eager = eager_order(&nodes, present);
        let orders = [(0..nodes.len()).collect(), eager];
        Self {
            nodes,
            orders,
            uses,
        }
    }

    /// The largest number of elements that are alive at the same time, without the tensors of the file.
    ///
    /// `elements` returns the number of elements of a tensor; `scratch` has the temporary memory of each node in
    /// elements.
    pub fn peak(&self, elements: impl Fn(usize) -> usize, scratch: &[usize]) -> u64 {
        let peaks = self.orders.iter().map(|order| {
            let mut left = self.uses.clone();
            let (mut alive, mut peak) = (0u64, 0u64);
            for &index in order {
                let node = &self.nodes[index];
                let made: usize = node.outputs.iter().map(|&place| elements(place)).sum();
                alive += made as u64;
                peak = peak.max(alive + scratch[index] as u64);
                for &place in node.inputs.iter().chain(&node.outputs) {
                    let is_input = left[place] > 0 && left[place] < usize::MAX;
                    if is_input && node.inputs.contains(&place) {
                        left[place] -= 1;
                    }
                    if left[place] == 0 {
                        alive = alive.saturating_sub(elements(place) as u64);
                        left[place] = usize::MAX;
                    }
                }
            }
            peak
        });
        peaks.max().unwrap_or(0)
    }
}

/// Returns the runtime's node order. At each step it runs, of the nodes whose inputs exist, the first one that cannot
/// work in place or, if all can, the first one.
fn eager_order(nodes: &[Node], mut present: Vec<bool>) -> Vec<usize> {
    let mut takers = vec![Vec::new(); present.len()];
    for (index, node) in nodes.iter().enumerate() {
        for &place in &node.inputs {
            takers[place].push(index);
        }
    }
    let can_run = |node: &Node, present: &[bool]| node.inputs.iter().all(|&place| present[place]);
    let mut is_queued: Vec<bool> = nodes.iter().map(|node| can_run(node, &present)).collect();
    let mut queue: Vec<usize> = (0..nodes.len()).filter(|&index| is_queued[index]).collect();
    let mut order = Vec::with_capacity(nodes.len());
    while !queue.is_empty() {
        let next = queue.iter().position(|&index| !nodes[index].is_in_place);
        let index = queue.remove(next.unwrap_or(0));
        order.push(index);
        for &place in &nodes[index].outputs {
            present[place] = true;
            for &taker in &takers[place] {
                if !is_queued[taker] && can_run(&nodes[taker], &present) {
                    is_queued[taker] = true;
                    queue.push(taker);
                }
            }
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(inputs: &[usize], outputs: &[usize], is_in_place: bool) -> Node {
        Node {
            inputs: inputs.to_vec(),
            outputs: outputs.to_vec(),
            is_in_place,
        }
    }

    #[test]
    fn branches_may_all_be_alive_at_once() {
        // Tensor 0 is the image; each of two branches makes a large tensor and reduces it to a small one.
        let nodes = vec![
            node(&[0], &[1], false),
            node(&[1], &[2], false),
            node(&[0], &[3], false),
            node(&[3], &[4], false),
            node(&[2, 4], &[5], true),
        ];
        let lifetimes = Lifetimes::new(nodes, &[false; 6], 0, &[5]);
        let elements = |place: usize| [10, 100, 1, 100, 1, 1][place];
        assert_eq!(lifetimes.orders[1], [0, 2, 1, 3, 4]);
        // Both large tensors and the small one that the first is reduced to.
        assert_eq!(lifetimes.peak(elements, &[0; 5]), 201);
        assert_eq!(lifetimes.peak(elements, &[0, 0, 0, 500, 0]), 602);
    }

    #[test]
    fn what_follows_from_the_file_alone_is_kept() {
        // Tensor 0 is the image, 1 is in the file; 2 and 3 are computed from 1 alone.
        let nodes = vec![
            node(&[1], &[2], false),
            node(&[2], &[3], false),
            node(&[0, 3], &[4], true),
        ];
        let lifetimes = Lifetimes::new(nodes, &[false, true, false, false, false], 0, &[4]);
        let elements = |place: usize| [7, 1000, 50, 50, 7][place];
        assert_eq!(lifetimes.peak(elements, &[0; 3]), 107);
    }
}
