//! Links libravelin.a from the folder that RAVELIN_LIB_DIR names.

fn main() {
    println!("cargo:rerun-if-env-changed=RAVELIN_LIB_DIR");
    let Some(folder) = std::env::var_os("RAVELIN_LIB_DIR") else {
        println!("cargo:warning=RAVELIN_LIB_DIR must name the folder of libravelin.a");
        std::process::exit(1);
    };
    println!("cargo:rustc-link-search=native={}", folder.to_string_lossy());
    println!("cargo:rustc-link-lib=static:-bundle=ravelin");
}
