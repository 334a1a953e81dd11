//! The administrator's page, followed as somebody would: the commands of a section, one after another.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use sudare_test_kit::checkout;

use super::Machine;
use super::seat::Seat;

/// What became of a section.
#[derive(Debug, Default)]
pub struct Followed {
    /// How many commands it took.
    pub commands: usize,
    /// In commands; not in the security team's, who sign in between.
    pub took: Duration,
    /// What doctor complained of at last.
    pub problems: Vec<String>,
}

/// The lines of the code blocks below this heading, up to the next one.
///
/// # Errors
/// The page has no such section.
pub fn commands(heading: &str) -> anyhow::Result<Vec<String>> {
    let page = std::fs::read_to_string(checkout().join("docs/guide/vdi-admin.md"))?;
    let section = page.split("\n## ").find(|part| part.starts_with(heading.trim_start_matches("## ")));
    let section = section.with_context(|| format!("the page has no section {heading}"))?;
    let blocks = section.split("\n```").skip(1).step_by(2);
    Ok(blocks
        .flat_map(str::lines)
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect())
}

/// Types them; `told` hears each with what it said.
///
/// # Errors
/// One fails, in its own words. Doctor may find problems.
pub fn follow(seat: &Seat, heading: &str, mut told: impl FnMut(&str, &str)) -> anyhow::Result<Followed> {
    let (mut followed, mut pin) = (Followed::default(), String::new());
    for command in commands(heading)? {
        followed.commands += 1;
        // It is typed on the other machine, which is a namespace.
        if command.starts_with("nft ") {
            let script = "ip netns exec far bash -c \"$1\" && ! timeout 3 ip netns exec far bash -c 'exec 3<>/dev/tcp/192.0.2.7/3389'";
            seat.machine.must(script, &command)?;
            continue;
        }
        let started = Instant::now();
        if command.contains("doctor") {
            followed.problems = problems(&seat.machine, &mut told)?;
            followed.took += started.elapsed();
            continue;
        }
        // Nobody is there to answer apt's question.
        let unattended = command.replace("apt install", "apt-get -qq install -y");
        let said = seat.types(&unattended.replace("#PIN", &format!("#{pin}")))?;
        followed.took += started.elapsed();
        told(&command, &said);
        if command.contains("sudare-host pin ") {
            said.trim().clone_into(&mut pin);
        }
        if said.lines().any(|line| line.starts_with("sudare-ed25519 ")) {
            seat.sign(&said)?;
        }
    }
    Ok(followed)
}

/// What doctor complains of. It ends with an error as long as there is a problem.
///
/// # Errors
/// It says hardly anything.
pub fn problems(machine: &Machine, told: &mut impl FnMut(&str, &str)) -> anyhow::Result<Vec<String>> {
    let output = machine.run("sudare-host doctor", "")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    told("sudare-host doctor", &format!("{said}{}", String::from_utf8_lossy(&output.stderr)));
    anyhow::ensure!(said.lines().count() > 25, "doctor says hardly anything: {said}");
    Ok(said.lines().filter_map(|line| line.strip_prefix("PROBLEM  ")).map(str::to_owned).collect())
}
