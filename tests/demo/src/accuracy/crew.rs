//! Work on all processors: each thread makes its own tools once, and results come in the order of the items.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;

/// Does `work` for each item; the first error ends it all.
pub(super) fn each<T: Sync, R: Send, S>(
    items: &[T],
    tools: impl Fn() -> anyhow::Result<S> + Sync,
    work: impl Fn(&mut S, usize, &T) -> anyhow::Result<R> + Sync,
) -> anyhow::Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, items.len().max(1));
    let run = || -> anyhow::Result<()> {
        let mut tools = tools()?;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return Ok(()) };
            let result =
                work(&mut tools, number, item).inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?;
            done.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
        }
    };
    std::thread::scope(|scope| -> anyhow::Result<()> {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        for thread in all {
            thread
                .join()
                .map_err(|_| anyhow::anyhow!("a thread of the rig panicked"))
                .context("the rig broke off")??;
        }
        Ok(())
    })?;
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_an_error_ends_the_work() {
        let items: Vec<usize> = (0..100).collect();
        let squares = each(
            &items,
            || Ok(0),
            |count, i, item| {
                *count += 1;
                Ok(i * item)
            },
        );
        assert_eq!(squares.unwrap(), items.iter().map(|i| i * i).collect::<Vec<_>>());
        let broken = each(&items, || Ok(()), |(), i, _| if i == 7 { anyhow::bail!("seven") } else { Ok(i) });
        assert_eq!(broken.unwrap_err().to_string(), "seven");
        assert!(each(&[] as &[u8], || Ok(()), |(), _, _| Ok(())).unwrap().is_empty());
    }
}
