//! n bodies: an octree of small nodes, built afresh for every step (Barnes and Hut, 1986).

use crate::Job;
use crate::face::Face;
use crate::memory::Own;

#[derive(Clone, Copy, Default)]
struct Body {
    at: [f64; 3],
    speed: [f64; 3],
    mass: f64,
}

enum Node<F: Face> {
    Leaf(Body),
    Inner(Own<Inner<F>, F>),
}

struct Inner<F: Face> {
    center: [f64; 3],
    half: f64,
    mass: f64,
    weighted: [f64; 3],
    children: [Option<Own<Node<F>, F>>; 8],
}

impl<F: Face> Inner<F> {
    fn new(center: [f64; 3], half: f64) -> Self {
        Inner { center, half, mass: 0.0, weighted: [0.0; 3], children: Default::default() }
    }

    fn insert(&mut self, body: Body, depth: u32) {
        self.mass += body.mass;
        for (sum, at) in self.weighted.iter_mut().zip(body.at) {
            *sum += at * body.mass;
        }
        let mut octant = 0;
        let mut center = self.center;
        for axis in 0..3 {
            let right = body.at[axis] >= self.center[axis];
            octant |= usize::from(right) << axis;
            center[axis] += if right { self.half / 2.0 } else { -self.half / 2.0 };
        }
        let child = &mut self.children[octant];
        match child.take() {
            None => *child = Some(Own::new(Node::Leaf(body))),
            Some(mut node) => {
                if let Node::Leaf(other) = *node {
                    if depth > 40 {
                        return;
                    }
                    let mut inner = Inner::new(center, self.half / 2.0);
                    inner.insert(other, depth + 1);
                    inner.insert(body, depth + 1);
                    *node = Node::Inner(Own::new(inner));
                } else if let Node::Inner(inner) = &mut *node {
                    inner.insert(body, depth + 1);
                }
                *child = Some(node);
            }
        }
    }

    fn pull(&self, on: &Body, force: &mut [f64; 3]) {
        let at = self.weighted.map(|sum| sum / self.mass);
        let far = distance(&at, &on.at);
        if self.half * self.half < far {
            add(force, &at, on, self.mass, far);
            return;
        }
        for child in self.children.iter().flatten() {
            match &**child {
                Node::Leaf(body) => add(force, &body.at, on, body.mass, distance(&body.at, &on.at)),
                Node::Inner(inner) => inner.pull(on, force),
            }
        }
    }
}

fn distance(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() + 1e-4
}

fn add(force: &mut [f64; 3], at: &[f64; 3], on: &Body, mass: f64, squared: f64) {
    let strength = mass / (squared * squared.sqrt());
    for axis in 0..3 {
        force[axis] += (at[axis] - on.at[axis]) * strength;
    }
}

pub fn bodies<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(11);
    let mut bodies: Vec<Body> = (0..4000)
        .map(|_| Body { at: [(); 3].map(|()| random.f64() - 0.5), speed: [0.0; 3], mass: random.f64() + 0.1 })
        .collect();
    for step in 0..job.rounds(500) {
        let mut root: Own<Inner<F>, F> = Own::new(Inner::new([0.0; 3], 2.0));
        bodies.iter().for_each(|body| root.insert(*body, 0));
        // The forces of a part only: this is about the trees.
        for body in bodies.iter_mut().skip(step % 8).step_by(8) {
            let mut force = [0.0; 3];
            root.pull(body, &mut force);
            for axis in 0..3 {
                body.speed[axis] += force[axis] * 1e-6;
                body.at[axis] = (body.at[axis] + body.speed[axis]).clamp(-1.0, 1.0);
            }
        }
    }
    bodies.iter().map(|body| body.at[0].to_bits() >> 40).sum()
}
