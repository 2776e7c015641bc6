//! Trees whose versions share nodes, as a functional language keeps them: an insertion copies a path, and dropping a
//! version frees what no other version holds.

use crate::Job;
use crate::face::Face;
use crate::memory::{Own, Shared};

type Link<F> = Option<Shared<Node<F>, F>>;

/// A treap: ordered by key, a heap by priority.
struct Node<F: Face> {
    key: u32,
    value: Option<Shared<u64, F>>,
    left: Link<F>,
    right: Link<F>,
}

fn priority(key: u32) -> u32 {
    (key ^ key >> 16).wrapping_mul(0x45d9_f3b5) ^ key.wrapping_mul(0x9e37_79b1) >> 7
}

fn insert<F: Face>(tree: &Link<F>, key: u32) -> Shared<Node<F>, F> {
    let Some(node) = tree else {
        let value = (key % 3 == 0).then(|| Shared::new(u64::from(key)));
        return Shared::new(Node { key, value, left: None, right: None });
    };
    if key == node.key {
        return node.clone();
    }
    let (value, left, right) = (node.value.clone(), node.left.clone(), node.right.clone());
    if key < node.key {
        let child = insert(&left, key);
        if priority(child.key) > priority(node.key) {
            let below = Shared::new(Node { key: node.key, value, left: child.right.clone(), right });
            return Shared::new(Node {
                key: child.key,
                value: child.value.clone(),
                left: child.left.clone(),
                right: Some(below),
            });
        }
        return Shared::new(Node { key: node.key, value, left: Some(child), right });
    }
    let child = insert(&right, key);
    if priority(child.key) > priority(node.key) {
        let below = Shared::new(Node { key: node.key, value, left, right: child.left.clone() });
        return Shared::new(Node {
            key: child.key,
            value: child.value.clone(),
            left: Some(below),
            right: child.right.clone(),
        });
    }
    Shared::new(Node { key: node.key, value, left, right: Some(child) })
}

fn sum<F: Face>(tree: &Link<F>) -> u64 {
    let mut todo = vec![tree];
    let mut sum = 0u64;
    while let Some(tree) = todo.pop() {
        if let Some(node) = tree {
            sum += u64::from(node.key) + node.value.as_ref().map_or(0, |value| **value);
            todo.extend([&node.left, &node.right]);
        }
    }
    sum
}

/// An expression rewritten: nodes of 24 to 40 bytes, made and dropped in trees.
enum Term<F: Face> {
    Number(u64),
    Sum(Own<Term<F>, F>, Own<Term<F>, F>),
    Product(Own<Term<F>, F>, Own<Term<F>, F>),
}

impl<F: Face> Term<F> {
    fn random(random: &mut fastrand::Rng, depth: u32) -> Self {
        if depth == 0 {
            return Term::Number(random.u64(..100));
        }
        let (a, b) = (Own::new(Term::random(random, depth - 1)), Own::new(Term::random(random, depth - 1)));
        if random.bool() { Term::Sum(a, b) } else { Term::Product(a, b) }
    }

    /// The derivative of sorts: every product becomes a sum of products.
    fn derived(&self) -> Self {
        match self {
            Term::Number(n) => Term::Number(n & 1),
            Term::Sum(a, b) => Term::Sum(Own::new(a.derived()), Own::new(b.derived())),
            Term::Product(a, b) => Term::Sum(
                Own::new(Term::Product(Own::new(a.derived()), Own::new(b.copied()))),
                Own::new(Term::Product(Own::new(a.copied()), Own::new(b.derived()))),
            ),
        }
    }

    fn copied(&self) -> Self {
        match self {
            Term::Number(n) => Term::Number(*n),
            Term::Sum(a, b) => Term::Sum(Own::new(a.copied()), Own::new(b.copied())),
            Term::Product(a, b) => Term::Product(Own::new(a.copied()), Own::new(b.copied())),
        }
    }

    fn value(&self) -> u64 {
        match self {
            Term::Number(n) => *n,
            Term::Sum(a, b) => a.value().wrapping_add(b.value()),
            Term::Product(a, b) => a.value().wrapping_mul(b.value()),
        }
    }
}

pub fn persistent<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(13);
    let mut versions: Vec<Link<F>> = (0..16).map(|_| None).collect();
    let mut total = 0u64;
    for round in 0..job.rounds(1_200_000) {
        let from = random.usize(..versions.len());
        let to = if round % 7 == 0 { random.usize(..versions.len()) } else { from };
        let tree = insert(&versions[from], random.u32(..1 << 17));
        versions[to] = Some(tree);
        if round % 4096 == 0 {
            total = total.wrapping_add(sum(&versions[to]));
        }
        if round % 512 == 0 {
            let term: Term<F> = Term::random(&mut random, 7);
            total = total.wrapping_add(term.derived().value());
        }
    }
    total
}
