use super::*;

fn lit(samples: Vec<Sample>) -> Lit {
    Lit { id: 1, check: 0, clipped_permille: 0, far_permille: 100, samples }
}

fn sample(t_ms: u32) -> Sample {
    Sample { t_ms, values: vec![0; PLACES * 3] }
}

#[test]
fn sequences_are_many_gentle_and_none_is_weak() {
    let all = Sequence::all();
    assert!(all.len() > 300, "{}", all.len());
    for sequence in &all {
        let steps = sequence.steps();
        assert!(steps.windows(2).all(|pair| pair[0] != pair[1]), "{steps:?}");
        assert!(steps[0] != Shade::Off && steps.contains(&Shade::Off) && steps.contains(&Shade::White));
    }
    let distinct = (0..=255).map(|n| Sequence::from_nonce([n; 32])).fold(Vec::new(), |mut seen, sequence| {
        if !seen.contains(&sequence) {
            seen.push(sequence);
        }
        seen
    });
    assert!(distinct.len() > 120, "{} of 256 nonces", distinct.len());
    assert_eq!(Sequence::from_nonce([7; 32]), Sequence::from_nonce([7; 32]));
}

#[test]
fn a_series_out_of_bounds_is_refused() {
    assert!(lit((0..40).map(|n| sample(n * 70)).collect()).in_bounds());
    assert!(lit(vec![]).in_bounds());
    let many = (0..41).map(|n| sample(n * 70)).collect();
    let long = Sample { values: vec![0; PLACES * 3 + 1], ..sample(5) };
    let short = Sample { values: vec![0; 3], ..sample(5) };
    let bright = Sample { values: vec![LOG_MILLI_MAX + 1; PLACES * 3], ..sample(5) };
    let absent = Sample { values: vec![ABSENT; PLACES * 3], ..sample(5) };
    for refused in [
        lit(many),
        lit(vec![long]),
        lit(vec![short]),
        lit(vec![bright]),
        lit(vec![sample(9), sample(9)]),
        lit(vec![sample(MEASURE_MAX_MS + 1)]),
        Lit { clipped_permille: 1_001, ..lit(vec![]) },
    ] {
        assert!(!refused.in_bounds(), "{refused:?}");
    }
    assert!(lit(vec![absent]).in_bounds());
    let turn = Sample { t_ms: 3, values: vec![-900] };
    assert!(Lit { check: 1, ..lit(vec![turn.clone()]) }.in_bounds());
    assert!(!lit(vec![turn]).in_bounds());
}

#[test]
fn the_longest_series_fits_its_message() {
    let values = vec![-LOG_MILLI_MAX; PLACES * 3];
    let samples = (0..).map(|n| Sample { t_ms: 10_000 + n, values: values.clone() });
    let lit = Lit { id: u64::MAX, ..lit(samples.take(LIGHT_SAMPLES_MAX).collect()) };
    assert!(lit.in_bounds());
    let bytes = minicbor::to_vec(&lit).unwrap();
    assert!(
        bytes.len() + crate::cose::OVERHEAD_MAX_BYTES + 32 <= crate::limits::LIT_MAX_BYTES,
        "{}",
        bytes.len()
    );
    assert_eq!(minicbor::decode::<Lit>(&bytes).unwrap(), lit);
}
