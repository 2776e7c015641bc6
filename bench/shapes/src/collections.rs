//! What Rust programs do all day: strings, vectors, maps, channels. They take memory from the global allocator
//! whatever the face: with malloc as the face, std's own calls malloc.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::mpsc;

use crate::Job;
use crate::face::Face;

type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;

pub fn collections<F: Face>(job: &Job) -> u64 {
    let mut random = fastrand::Rng::with_seed(67);
    (0..job.rounds(300)).map(|_| work(&mut random)).fold(0, u64::wrapping_add)
}

fn work(random: &mut fastrand::Rng) -> u64 {
    let mut sum = 0u64;
    let mut index: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    let mut people: Map<u32, Person> = Map::default();
    for id in 0..4_000 {
        let person = Person::new(id, random);
        for tag in &person.tags {
            index.entry(tag.to_string()).or_default().push(id);
        }
        people.insert(random.u32(..3_000), person);
    }
    for _ in 0..4_000 {
        let id = random.u32(..3_000);
        if let Some(person) = people.remove(&id) {
            let line = format!("{}: {}", person.name, person.tags.join(", "));
            sum += line.len() as u64;
            if random.bool() {
                people.insert(id, person.clone());
            }
        }
    }
    let mut queue: VecDeque<Box<dyn Fn() -> u64>> = VecDeque::new();
    for (tag, ids) in &index {
        let (tag, ids) = (tag.clone(), ids.clone());
        queue.push_back(Box::new(move || tag.len() as u64 + ids.iter().map(|id| u64::from(*id)).sum::<u64>()));
        if queue.len() > 50 {
            sum += queue.pop_front().map_or(0, |job| job());
        }
    }
    let table: Vec<Vec<f64>> = (0..100).map(|row| (0..row * 3).map(f64::from).collect()).collect();
    let columns: Vec<f64> = (0..100).map(|column| table.iter().filter_map(|row| row.get(column)).sum()).collect();
    sum + columns.iter().sum::<f64>() as u64
}

#[derive(Clone)]
struct Person {
    name: String,
    tags: Vec<Box<str>>,
    history: BTreeMap<u16, String>,
    boss: Option<Box<Person>>,
}

impl Person {
    fn new(id: u32, random: &mut fastrand::Rng) -> Self {
        let word = |random: &mut fastrand::Rng| -> String {
            let length = random.usize(2..14);
            std::iter::repeat_with(|| random.lowercase()).take(length).collect()
        };
        let tags = (0..random.u32(1..6)).map(|_| format!("tag-{}", random.u32(..500)).into_boxed_str()).collect();
        let history = (0..random.u16(..8)).map(|year| (year, word(random))).collect();
        let boss = (id % 5 == 0).then(|| Box::new(Person::new(id + 1, random)));
        Person { name: word(random), tags, history, boss }
    }

    fn weight(&self) -> u64 {
        let history: usize = self.history.values().map(String::len).sum();
        history as u64 + self.boss.as_ref().map_or(0, |boss| boss.weight())
    }
}

pub fn threaded<F: Face>(job: &Job) -> u64 {
    let rounds = job.rounds(700_000) / job.threads;
    let mut sum = 0;
    std::thread::scope(|scope| {
        let mut receivers = Vec::new();
        for thread in 0..job.threads as u64 {
            let (sender, receiver) = mpsc::sync_channel::<Box<Person>>(256);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                for id in 0..rounds as u32 {
                    if sender.send(Box::new(Person::new(id, &mut random))).is_err() {
                        return;
                    }
                }
            });
            receivers.push(receiver);
        }
        sum = receivers.iter().map(|receiver| receiver.iter().map(|person| person.weight()).sum::<u64>()).sum();
    });
    sum
}
