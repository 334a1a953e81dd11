//! The client's only source of randomness: the operating system.

/// Fresh bytes.
///
/// # Errors
/// The operating system refused.
pub fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
