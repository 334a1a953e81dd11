//! Words and light on surfaces that are black, as another implementation decodes them.

use super::*;

const WHITE: u16 = 0xFFFF;

/// The same of each: all pixels of a tile of 4x2, from another place of the screen.
fn tile() -> Tile {
    let pixels = [WHITE, 0, 0xF800, 0, 0, 0x07E0, 0, 0x001F];
    Tile::new(10, 20, Size { width: 4, height: 2 }, &pixels).unwrap()
}

#[test]
fn light_is_one_colour() {
    let mut run = Run::drawn();
    run.cover();
    run.painted = 0;
    assert!(run.live.paint(&[Tile::flat(1, 1, Size { width: 2, height: 9 }, 0xFD6D).unwrap()]));
    run.pull();
    let pixels: Vec<u32> = run.client.surfaces[&1].pixels.iter().map(|pixel| pixel & 0x00FF_FFFF).collect();
    let (dark, light) = (0, 0x00FF_AE6B);
    let row = [dark, light, light, dark];
    assert_eq!(pixels, [[dark; 4], row, row].concat());
    assert_eq!(run.painted, 0, "no bitmaps, where a surface fills the screen");
    run.uncover();
    assert_eq!(run.client.surfaces[&1].pixels[5] & 0xFF, 7);
    // The cover is over.
    assert!(!run.live.paint(&[tile()]));
}

#[test]
fn words_that_nobody_has_seen_do_not_come_over_the_desktop() {
    let mut run = Run::drawn();
    run.live.cover(0).unwrap();
    // Before anything is black, and again before it was painted.
    assert!(run.live.paint(&[Tile::flat(0, 0, Size { width: 4, height: 3 }, 0xFFFF).unwrap()]));
    assert!(run.live.paint(&[Tile::flat(0, 0, Size { width: 1, height: 1 }, 0xFFFF).unwrap()]));
    run.pull();
    let white = run.client.surfaces[&1].pixels.iter().filter(|pixel| **pixel == 0xFFFF_FFFF).count();
    assert_eq!(white, 1);
    assert!(run.live.paint(&[Tile::flat(0, 0, Size { width: 4, height: 3 }, 0xFFFF).unwrap()]));
    run.uncover();
    assert!(run.client.surfaces[&1].pixels.iter().all(|pixel| pixel & 0xFF == 7));
}

#[test]
fn tiles_go_where_a_surface_is_shown_and_as_large_as_it_is() {
    // The surface as mapped, and which of its pixels are red: columns and rows.
    let cases: [(Vec<u8>, &[usize], &[usize]); 6] = [
        (map(1, 0, 0), &[12], &[20]),
        (map(1, 10, 20), &[2], &[0]),
        (map(1, 12, 15), &[0], &[5]),
        // Twice as large on the screen, and half.
        (map_scaled(1, 64, 64), &[6], &[10]),
        (map_scaled(1, 16, 16), &[], &[]),
        (map_scaled(1, 0, 0), &[], &[]),
    ];
    for (map, columns, rows) in cases {
        let mut run = Run::visible();
        run.host(&[create(1, 32, 32, XRGB), map, start(1), fill(1, 7), end(1)].concat());
        run.pull();
        run.cover();
        let red = Tile::flat(12, 20, Size { width: 1, height: 1 }, 0xF800).unwrap();
        assert!(run.live.paint(&[red]));
        run.pull();
        let pixels = &run.client.surfaces[&1].pixels;
        let found: Vec<usize> = (0..pixels.len()).filter(|at| pixels[*at] & 0x00FF_FFFF != 0).collect();
        let expected: Vec<usize> =
            rows.iter().flat_map(|row| columns.iter().map(move |column| row * 32 + column)).collect();
        assert_eq!(found, expected);
    }
}

#[test]
fn a_tile_is_the_same_after_its_way_through_runs() {
    let tile = tile();
    let pixels = tile.pixels().unwrap();
    assert_eq!(pixels, [[WHITE, 0, 0xF800, 0], [0, 0x07E0, 0, 0x001F]]);
    let odd: Vec<u16> = (0..7 * 5).map(|at| if at < 20 { 3 } else { at }).collect();
    let tile = Tile::new(0, 0, Size { width: 7, height: 5 }, &odd).unwrap();
    assert_eq!(tile.pixels().unwrap().concat(), odd);
}
