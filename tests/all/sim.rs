//! Some hundreds of seeds always, 10,000 with `cargo xtask test --long`.

use sudare_sim as sim;

#[test]
fn no_seed_breaks_rule_one() {
    let seeds: Vec<u64> = match std::env::var("SUDARE_SIM_SEED") {
        Ok(seed) => vec![seed.parse().expect("SUDARE_SIM_SEED is a number")],
        Err(_) if std::env::var_os("SUDARE_LONG").is_some() => (0..10_000).collect(),
        Err(_) => (0..300).collect(),
    };
    let (mut visible_ms, mut covers, mut incidents, mut worst_ms) = (0, 0, 0, 0);
    for seed in &seeds {
        match sim::run(*seed) {
            Ok(o) => {
                visible_ms += o.visible_ms;
                covers += o.covers;
                incidents += o.incidents;
                worst_ms = worst_ms.max(o.worst_exposed_ms);
            }
            Err(broken) => panic!("{broken}\nreplay with SUDARE_SIM_SEED={seed}"),
        }
    }
    println!(
        "{} seeds: visible {} s, {covers} covers, {incidents} incidents, a stranger in view of a visible desktop for {worst_ms} ms at worst",
        seeds.len(),
        visible_ms / 1000
    );
    // A run in which nothing is ever shown or covered would prove nothing.
    assert!(visible_ms > 0 && covers > 0 && incidents > 0);
}
