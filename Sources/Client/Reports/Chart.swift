// SPDX-License-Identifier: Apache-2.0

/// A picture of numbers, described and not yet drawn.
package struct Chart {
    /// What it shows, in a few words.
    package var title: String
    /// What a reader sees in it, in a sentence: for those who do not see it.
    package var summary: String
    var content: Content

    enum Content {
        case lines(Lines)
        case bars(Bars)
        case points(Points)
        case heat(Heat)
    }

    /// Curves over a common axis.
    struct Lines {
        struct Series {
            var name: String
            var points: [(x: Double, y: Double)]
        }
        var x: Axis
        var y: Axis
        var series: [Series]
        /// A line from corner to corner, for curves that are compared with chance.
        var hasDiagonal = false
        /// Whether the points themselves are marked.
        var marksPoints = true
    }

    /// Counts by class, one outline for each series.
    struct Bars {
        struct Series {
            var name: String
            var counts: [Double]
        }
        /// The borders of the classes, one more than there are classes.
        var borders: [Double]
        var x: String
        var y: String
        var series: [Series]
    }

    /// Single points with a name each.
    struct Points {
        struct Point {
            var name: String
            var x: Double
            var y: Double
            /// Whether it is drawn filled.
            var isFilled: Bool
        }
        var x: Axis
        var y: Axis
        var points: [Point]
        var filled: String
        var hollow: String
    }

    /// A row of cells for each layer.
    struct Heat {
        var rows: [(name: String, cells: [Double])]
        var x: String
        /// What a cell counts.
        var unit: String
    }

    /// A scale and what it measures.
    struct Axis {
        var name: String
        /// Fixed ends; otherwise the data's.
        var range: ClosedRange<Double>?
        /// Names of the places 0, 1, 2, … instead of numbers.
        var labels: [String]?

        init(_ name: String, _ range: ClosedRange<Double>? = nil, labels: [String]? = nil) {
            self.name = name
            self.range = range
            self.labels = labels
        }
    }
}
