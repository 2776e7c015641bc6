//! Another static library in Rust, with std: threads, collections, a panic that is caught.

#[unsafe(no_mangle)]
pub extern "C" fn other_rust_works(count: usize) -> usize {
    std::panic::set_hook(Box::new(|_| {}));
    assert!(std::panic::catch_unwind(|| panic!("{}", "x".repeat(100))).is_err());
    let all: std::collections::BTreeMap<usize, String> = (0..count).map(|n| (n, n.to_string())).collect();
    std::thread::spawn(move || all.values().map(|text| text.parse::<usize>().unwrap()).sum()).join().unwrap()
}
