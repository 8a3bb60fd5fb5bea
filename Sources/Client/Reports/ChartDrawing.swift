// SPDX-License-Identifier: Apache-2.0

/// Draws charts as inline SVG: no script, no font, no colour of its own (the page's style decides), a title and a
/// description for those who do not see it. Series differ by dash and mark as well as by colour.
enum ChartDrawing {
    private static let width = 660.0
    private static let height = 300.0
    private static let left = 62.0
    private static let right = 14.0
    private static let top = 12.0
    private static let bottom = 46.0
    /// Series beyond so many share their looks.
    private static let looks = 6

    /// The drawing, with the number that makes its ids its own.
    static func svg(_ chart: Chart, number: Int) -> Markup {
        var markup = Markup()
        let tall = if case .heat(let heat) = chart.content { heatHeight(heat) } else { height }
        markup.element(
            "svg",
            [
                ("xmlns", "http://www.w3.org/2000/svg"), ("viewBox", "0 0 \(text(width)) \(text(tall))"),
                ("role", "img"), ("aria-labelledby", "c\(number)t c\(number)d"),
            ]
        ) { svg in
            svg.element("title", [("id", "c\(number)t")], chart.title)
            svg.element("desc", [("id", "c\(number)d")], chart.summary)
            switch chart.content {
            case .lines(let lines): draw(lines, &svg)
            case .bars(let bars): draw(bars, &svg)
            case .points(let points): draw(points, &svg)
            case .heat(let heat): draw(heat, &svg)
            }
        }
        return markup
    }

    /// The names of the series beside the looks that they have in the drawing.
    static func legend(_ chart: Chart) -> [(look: String, name: String)] {
        switch chart.content {
        case .lines(let lines): lines.series.enumerated().map { ("s\($0.offset % looks)", $0.element.name) }
        case .bars(let bars): bars.series.enumerated().map { ("s\($0.offset % looks)", $0.element.name) }
        case .points(let points):
            [(true, "full", points.filled), (false, "hollow", points.hollow)].filter { kind in
                !kind.2.isEmpty && points.points.contains { $0.isFilled == kind.0 }
            }.map { ($0.1, $0.2) }
        case .heat: []
        }
    }

    // MARK: Frames and scales

    /// Maps values to places of the drawing.
    private struct Scale {
        var low: Double
        var high: Double
        var from: Double
        var to: Double
        func callAsFunction(_ value: Double) -> Double {
            from + (value - low) / (high - low) * (to - from)
        }
    }

    private static func scale(_ axis: Chart.Axis, _ values: [Double], _ from: Double, _ to: Double) -> Scale {
        var low = axis.range?.lowerBound ?? values.min() ?? 0
        var high = axis.range?.upperBound ?? values.max() ?? 1
        if axis.range == nil, axis.labels == nil {
            // From zero where the data are near it: a cut axis makes small things large.
            if low > 0, low < high * 0.6 { low = 0 }
        }
        if high - low < 1e-12 * max(1, abs(high)) {
            low -= 0.5
            high += 0.5
        }
        return Scale(low: low, high: high, from: from, to: to)
    }

    /// Round steps, at most about seven.
    static func ticks(_ low: Double, _ high: Double) -> [Double] {
        guard high > low, (high - low).isFinite else { return [low] }
        let raw = (high - low) / 6
        var size = 1.0
        while size > raw { size /= 10 }
        while size * 10 <= raw { size *= 10 }
        let step = [1.0, 2, 2.5, 5, 10].first { size * $0 >= raw }.map { size * $0 } ?? raw
        let first = (low / step - 1e-9).rounded(.up)
        let last = (high / step + 1e-9).rounded(.down)
        guard last - first < 20 else { return [low, high] }
        return stride(from: first, through: last, by: 1).map { $0 * step }
    }

    private static func frame(
        _ xAxis: Chart.Axis, _ x: Scale, _ yAxis: Chart.Axis, _ y: Scale, _ svg: inout Markup
    ) {
        for tick in ticks(y.low, y.high) {
            line(left, y(tick), width - right, y(tick), "grid", &svg)
            label(tickText(tick), left - 7, y(tick) + 4, "end", &svg)
        }
        if let labels = xAxis.labels {
            for (index, name) in labels.enumerated() {
                label(name, x(Double(index)), height - bottom + 18, "middle", &svg)
            }
        } else {
            for tick in ticks(x.low, x.high) {
                line(x(tick), height - bottom, x(tick), height - bottom + 5, "axis", &svg)
                label(tickText(tick), x(tick), height - bottom + 18, "middle", &svg)
            }
        }
        line(left, height - bottom, width - right, height - bottom, "axis", &svg)
        line(left, top, left, height - bottom, "axis", &svg)
        label(xAxis.name, (left + width - right) / 2, height - 8, "middle", &svg, "name")
        svg.element(
            "text",
            [
                ("class", "name"), ("text-anchor", "middle"),
                ("transform", "translate(14 \(text((top + height - bottom) / 2))) rotate(-90)"),
            ], yAxis.name)
    }

    private static func draw(_ lines: Chart.Lines, _ svg: inout Markup) {
        let all = lines.series.flatMap(\.points)
        let x = scale(lines.x, all.map(\.x), left + 4, width - right - 4)
        let y = scale(lines.y, all.map(\.y), height - bottom, top + 4)
        frame(lines.x, x, lines.y, y, &svg)
        if lines.hasDiagonal { line(x(x.low), y(y.low), x(x.high), y(y.high), "chance", &svg) }
        for (index, series) in lines.series.enumerated() {
            let look = "s\(index % looks)"
            let places = series.points.map { "\(text(x($0.x))),\(text(y($0.y)))" }
            if places.count > 1 {
                svg.empty("polyline", [("class", "line \(look)"), ("points", places.joined(separator: " "))])
            }
            guard lines.marksPoints || places.count == 1 else { continue }
            for point in series.points {
                svg.empty(
                    "circle",
                    [
                        ("class", "mark \(look)"), ("cx", text(x(point.x))), ("cy", text(y(point.y))),
                        ("r", "3"),
                    ])
            }
        }
    }

    private static func draw(_ bars: Chart.Bars, _ svg: inout Markup) {
        guard let first = bars.borders.first, let last = bars.borders.last else { return }
        let most = bars.series.flatMap(\.counts).max() ?? 1
        let xAxis = Chart.Axis(bars.x, first...max(first + 1e-9, last))
        let yAxis = Chart.Axis(bars.y, 0...max(most, 1e-9))
        let x = scale(xAxis, [], left + 4, width - right - 4)
        let y = scale(yAxis, [], height - bottom, top + 4)
        frame(xAxis, x, yAxis, y, &svg)
        for (index, series) in bars.series.enumerated() {
            var path = "M\(text(x(first))) \(text(y(0)))"
            for (place, count) in series.counts.enumerated() where place + 1 < bars.borders.count {
                path += "L\(text(x(bars.borders[place]))) \(text(y(count)))"
                path += "L\(text(x(bars.borders[place + 1]))) \(text(y(count)))"
            }
            path += "L\(text(x(last))) \(text(y(0)))Z"
            svg.empty("path", [("class", "bar s\(index % looks)"), ("d", path)])
        }
    }

    private static func draw(_ points: Chart.Points, _ svg: inout Markup) {
        var x = scale(points.x, points.points.map(\.x), left + 16, width - right - 40)
        var y = scale(points.y, points.points.map(\.y), height - bottom - 10, top + 14)
        if points.x.range == nil { (x.low, x.high) = padded(x) }
        if points.y.range == nil { (y.low, y.high) = padded(y) }
        frame(points.x, x, points.y, y, &svg)
        for point in points.points {
            svg.empty(
                "circle",
                [
                    ("class", point.isFilled ? "full" : "hollow"), ("cx", text(x(point.x))),
                    ("cy", text(y(point.y))), ("r", "5"),
                ])
            label(point.name, x(point.x) + 9, y(point.y) + 4, "start", &svg)
        }
    }

    private static func padded(_ scale: Scale) -> (Double, Double) {
        let margin = (scale.high - scale.low) * 0.05
        return (scale.low == 0 ? 0 : scale.low - margin, scale.high + margin)
    }

    // MARK: Heat maps

    private static let heatRow = 18.0

    private static func heatHeight(_ heat: Chart.Heat) -> Double {
        top + Double(heat.rows.count) * heatRow + bottom
    }

    private static func draw(_ heat: Chart.Heat, _ svg: inout Markup) {
        let most = heat.rows.flatMap(\.cells).max() ?? 0
        let columns = max(1, heat.rows.map(\.cells.count).max() ?? 1)
        let cell = (width - left - right) / Double(columns)
        for (row, layer) in heat.rows.enumerated() {
            let y = top + Double(row) * heatRow
            label(layer.name, left - 7, y + 13, "end", &svg)
            for (column, value) in layer.cells.enumerated() {
                let strength = most > 0 && value > 0 ? 0.15 + 0.85 * value / most : 0
                svg.empty(
                    "rect",
                    [
                        ("class", "cell"), ("x", text(left + Double(column) * cell)), ("y", text(y)),
                        ("width", text(max(0.5, cell - 1))), ("height", text(heatRow - 2)),
                        ("fill-opacity", text(strength)),
                    ])
            }
        }
        let foot = top + Double(heat.rows.count) * heatRow
        label("\(heat.x); darkest: \(tickText(most)) \(heat.unit)", left, foot + 20, "start", &svg, "name")
    }

    // MARK: Small parts

    private static func line(
        _ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ look: String, _ svg: inout Markup
    ) {
        svg.empty(
            "line",
            [("class", look), ("x1", text(x1)), ("y1", text(y1)), ("x2", text(x2)), ("y2", text(y2))])
    }

    private static func label(
        _ words: String, _ x: Double, _ y: Double, _ anchor: String, _ svg: inout Markup,
        _ look: String = "tick"
    ) {
        svg.element(
            "text", [("class", look), ("x", text(x)), ("y", text(y)), ("text-anchor", anchor)], words)
    }

    /// A place of the drawing, to a tenth.
    private static func text(_ value: Double) -> String { Text.fixed(value, abs(value) < 2 ? 2 : 1) }

    private static func tickText(_ value: Double) -> String {
        if abs(value) < 1e-12 { return "0" }
        if abs(value) >= 1e5 || abs(value) < 1e-3 { return Text.figure(value) }
        var text = Text.fixed(value, 4)
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text
    }
}
