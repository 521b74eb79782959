/* The C loop that the backtest benchmark divides by: bars to ranking metrics, one simulation after the other.
 *
 * Same rules as docs/BACKTEST_GUIDE.md, written for two strategies only: crossings of two averages (strategy 0) and of
 * RSI levels with stops (strategy 1). Each simulation reads shared indicator rows and keeps nothing but five figures:
 * total return, Sharpe ratio per year of minutes, maximum drawdown, win rate, trades.
 */
#include <math.h>

#define YEAR 525600.0

void sma_rows(long n, const double *x, int rows, const long *windows, double *out) {
    for (int k = 0; k < rows; k++) {
        long w = windows[k];
        double sum = 0, *row = out + (long)k * n;
        for (long t = 0; t < n; t++) {
            sum += x[t] - x[0];
            if (t >= w) sum -= x[t - w] - x[0];
            row[t] = t >= w - 1 ? sum / w + x[0] : NAN;
        }
    }
}

void rsi_rows(long n, const double *x, int rows, const long *windows, double *out) {
    for (int k = 0; k < rows; k++) {
        long w = windows[k];
        double up = 0, down = 0, share = 1.0 / w, *row = out + (long)k * n;
        row[0] = NAN;
        for (long t = 1; t < n; t++) {
            double step = x[t] - x[t - 1], gain = step > 0 ? step : 0, loss = step < 0 ? -step : 0;
            if (t <= w) { up += gain * share; down += loss * share; }
            else { up += (gain - up) * share; down += (loss - down) * share; }
            row[t] = t < w ? NAN : 100.0 * up / (up + down);
        }
    }
}

typedef struct { const double *open, *high, *low, *close, *side_cost; } Tape;
typedef struct { int strategy; long first, second, warmup; double low, high, stop, target; } Job;

static int decision(const Job *job, const double *a, const double *b, long t) {
    if (t < job->warmup) return 0;
    if (job->strategy == 0) return (a[t] > b[t] && !(a[t - 1] > b[t - 1])) - (a[t] < b[t] && !(a[t - 1] < b[t - 1]));
    return (a[t] < job->low && !(a[t - 1] < job->low)) - (a[t] > job->high && !(a[t - 1] > job->high));
}

static void simulate(long n, Tape m, double fee, const Job *job, const double *a, const double *b, double *out) {
    double realised = 1, entry = 0, size = 0, paid = 0, equity = 1, peak = 1, drawdown = 0, s1 = 0, s2 = 0;
    double lower = 0, upper = INFINITY;
    long trades = 0, wins = 0, side = 0;
    for (long t = 1; t < n; t++) {
        int wanted = decision(job, a, b, t - 1);
        if (wanted && wanted != side) {
            if (side) {
                double fill = m.open[t] * (1 - side * m.side_cost[t]);
                double pnl = side * size * (fill - entry) - fee * size * fill - paid;
                realised += pnl; wins += pnl > 1e-12; trades++;
            }
            side = wanted;
            entry = m.open[t] * (1 + side * m.side_cost[t]);
            size = 1 / entry;
            paid = fee;
            if (job->stop > 0) {
                lower = entry * (side > 0 ? 1 - job->stop : 1 - job->target);
                upper = entry * (side > 0 ? 1 + job->target : 1 + job->stop);
            }
        }
        double price = 0;
        if (side && (m.low[t] <= lower || m.high[t] >= upper)) {
            int below = side > 0 ? m.low[t] <= lower : m.high[t] < upper;
            price = below ? fmin(m.open[t], lower) : fmax(m.open[t], upper);
        } else if (side && t == n - 1) price = m.close[t];
        if (price > 0) {
            double fill = price * (1 - side * m.side_cost[t]), pnl = side * size * (fill - entry) - fee * size * fill - paid;
            realised += pnl; wins += pnl > 1e-12; trades++; side = 0;
        } else if (!side && equity == realised) continue;
        double value = side ? realised - paid + side * size * (m.close[t] - entry) : realised;
        int ruined = value <= 0;
        if (ruined && side) {
            double fill = m.close[t] * (1 - side * m.side_cost[t]);
            double pnl = side * size * (fill - entry) - fee * size * fill - paid;
            realised += pnl; wins += pnl > 1e-12; trades++; side = 0;
            value = realised;
        }
        double change = value / equity - 1;
        equity = value; s1 += change; s2 += change * change;
        if (value > peak) peak = value;
        else if (value < peak * (1 - drawdown)) drawdown = 1 - value / peak;
        if (ruined) break;
    }
    double mean = s1 / n, variance = (s2 - s1 * mean) / (n - 1);
    out[0] = realised - 1;
    out[1] = mean / sqrt(variance) * sqrt(YEAR);
    out[2] = drawdown;
    out[3] = (double)wins / trades;
    out[4] = trades;
}

void simulate_all(long n, const double *open, const double *high, const double *low, const double *close,
                  const double *side_cost, double fee, const double *rows, int jobs, const Job *job, double *out) {
    Tape tape = {open, high, low, close, side_cost};
    for (int k = 0; k < jobs; k++)
        simulate(n, tape, fee, job + k, rows + job[k].first * n, rows + job[k].second * n, out + 5L * k);
}
