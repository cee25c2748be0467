//! Grouping of neighboring windows, as in OpenCV's `groupRectangles`.

/// A window of the image, in whole pixels of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Left column.
    pub x: i32,
    /// Top row.
    pub y: i32,
    /// Width in pixels.
    pub width: i32,
    /// Height in pixels.
    pub height: i32,
}

/// A group of similar windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// Mean of the windows, each coordinate rounded.
    pub window: Window,
    /// Number of windows in the group; 1 when windows were not grouped.
    pub neighbors: u32,
}

/// Two windows are similar when each edge differs by at most this fraction of the mean of the smaller of both widths
/// and the smaller of both heights.
const EPSILON: f64 = 0.2;

/// Groups similar windows and drops weak groups.
///
/// Windows that are connected by a chain of similar ones form one group. Groups of at most `min_neighbors` windows are
/// dropped. A group whose mean window lies inside that of another group (or extends beyond the latter by at most 20 %
/// of its size) is also dropped if it has fewer than 3 windows, or if the other group has more windows and at least 4.
/// With `min_neighbors` 0 every window is returned as a group of its own.
pub fn group_windows(windows: &[Window], min_neighbors: u32) -> Vec<Group> {
    if min_neighbors == 0 {
        return windows
            .iter()
            .map(|&window| Group {
                window,
                neighbors: 1,
            })
            .collect();
    }
    let groups = means(windows);
    let strong: Vec<Group> = groups
        .into_iter()
        .filter(|group| group.neighbors > min_neighbors)
        .collect();
    let is_inside = |a: &Group, b: &Group| {
        let (inner, outer) = (a.window, b.window);
        let dx = (f64::from(outer.width) * EPSILON).round_ties_even() as i32;
        let dy = (f64::from(outer.height) * EPSILON).round_ties_even() as i32;
        inner.x >= outer.x - dx
            && inner.y >= outer.y - dy
            && inner.x + inner.width <= outer.x + outer.width + dx
            && inner.y + inner.height <= outer.y + outer.height + dy
            && (b.neighbors > a.neighbors.max(3) || a.neighbors < 3)
    };
    let survives = |(i, group): &(usize, &Group)| {
        !strong
            .iter()
            .enumerate()
            .any(|(j, other)| *i != j && is_inside(group, other))
    };
    strong
        .iter()
        .enumerate()
        .filter(survives)
        .map(|(_, group)| *group)
        .collect()
}

/// All groups of similar windows, in the order of their first members.
fn means(windows: &[Window]) -> Vec<Group> {
    let mut parents: Vec<usize> = (0..windows.len()).collect();
    // Each window is compared only with those that follow in the order of x, up to `reach`, the largest difference in x
    // at which two windows can be similar.
    let mut order: Vec<usize> = (0..windows.len()).collect();
    order.sort_by_key(|&i| windows[i].x);
    for (at, &i) in order.iter().enumerate() {
        let reach = EPSILON * f64::from(windows[i].width + windows[i].height) * 0.5;
        for &j in &order[at + 1..] {
            if f64::from(windows[j].x - windows[i].x) > reach {
                break;
            }
            if are_similar(&windows[i], &windows[j]) {
                let (a, b) = (root(&mut parents, i), root(&mut parents, j));
                parents[a.max(b)] = a.min(b);
            }
        }
    }
    let mut sums: Vec<([i64; 4], u32)> = vec![([0; 4], 0); windows.len()];
    for (i, window) in windows.iter().enumerate() {
        let (sum, count) = &mut sums[root(&mut parents, i)];
        for (total, value) in sum
            .iter_mut()
            .zip([window.x, window.y, window.width, window.height])
        {
            *total += i64::from(value);
        }
        *count += 1;
    }
    let mean = |(sum, count): ([i64; 4], u32)| {
        let share = 1.0 / count as f32;
        let [x, y, width, height] =
            sum.map(|total| (total as f32 * share).round_ties_even() as i32);
        Group {
            window: Window {
                x,
                y,
                width,
                height,
            },
            neighbors: count,
        }
    };
    sums.into_iter()
        .filter(|(_, count)| *count > 0)
        .map(mean)
        .collect()
}

fn root(parents: &mut [usize], mut i: usize) -> usize {
    while parents[i] != i {
        parents[i] = parents[parents[i]];
        i = parents[i];
    }
    i
}

fn are_similar(a: &Window, b: &Window) -> bool {
    let delta = EPSILON * f64::from(a.width.min(b.width) + a.height.min(b.height)) * 0.5;
    let near = |a: i32, b: i32| f64::from((a - b).abs()) <= delta;
    near(a.x, b.x)
        && near(a.y, b.y)
        && near(a.x + a.width, b.x + b.width)
        && near(a.y + a.height, b.y + b.height)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(x: i32, y: i32, side: i32) -> Window {
        Window {
            x,
            y,
            width: side,
            height: side,
        }
    }

    #[test]
    fn chains_of_similar_windows_become_one_mean() {
        let windows = [
            window(0, 0, 100),
            window(300, 0, 50),
            window(18, 0, 100),
            window(36, 0, 100),
        ];
        let groups = group_windows(&windows, 1);
        assert_eq!(
            groups,
            [Group {
                window: window(18, 0, 100),
                neighbors: 3
            }]
        );
        assert_eq!(group_windows(&windows, 3), []);
        assert_eq!(group_windows(&windows, 0).len(), 4);
    }

    #[test]
    fn a_weak_group_inside_a_strong_one_goes() {
        let mut windows = vec![window(10, 10, 100); 5];
        windows.extend([window(40, 40, 30); 3]);
        windows.extend([window(400, 40, 30); 3]);
        let groups = group_windows(&windows, 2);
        let expected = [(window(10, 10, 100), 5), (window(400, 40, 30), 3)];
        assert_eq!(
            groups,
            expected.map(|(window, neighbors)| Group { window, neighbors })
        );
    }
}
